"""The version of the package, of openenv.yaml and of the OpenAPI document."""

VERSION = "1.0.0"
