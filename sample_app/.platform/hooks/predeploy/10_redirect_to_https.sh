#!/bin/bash
# Sends plain HTTP on to HTTPS where the environment serves it: the variable TRANSPORT says so.
# The load balancer says in X-Forwarded-Proto how it was asked; its own health checks have no such
# header and are answered. Beanstalk lays the proxy's configuration out in /var/proxy/staging:
# https://docs.aws.amazon.com/elasticbeanstalk/latest/dg/platforms-linux-extend.hooks.html
set -euo pipefail

get_config=${GET_CONFIG:-/opt/elasticbeanstalk/bin/get-config}
staging=${PROXY_STAGING:-/var/proxy/staging}
redirect=$staging/nginx/conf.d/elasticbeanstalk/00_redirect_to_https.conf

if [ "$("$get_config" environment -k TRANSPORT 2>/dev/null || true)" != https ]; then
  rm -f "$redirect"
  exit 0
fi
mkdir -p "$(dirname "$redirect")"
cat >"$redirect" <<'NGINX'
if ($http_x_forwarded_proto = "http") {
  return 301 https://$host$request_uri;
}
NGINX
