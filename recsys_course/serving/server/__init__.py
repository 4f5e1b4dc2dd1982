"""A local server that answers the same requests as TensorFlow Serving, for everyone without Docker.

Read in this order: `settings` (the bounds), `servable` (a version in memory), `batching` (rows of several requests
together), `repository` (versions come and go), `service` (what both protocols share), `json_tensors` and `rest`,
`grpc_api`, `run` (start and stop).

It is for one machine and a friendly network. It has no authentication and no encryption: put a reverse proxy with both
in front before anybody else can reach it.
"""
