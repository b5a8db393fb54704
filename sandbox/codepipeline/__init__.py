"""CodePipeline, modelled: pipelines that run, hold, stop, retry and roll back as AWS's do."""
