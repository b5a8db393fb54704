"""CodeBuild, modelled: builds that run their buildspec in a process of their own."""
