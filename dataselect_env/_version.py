"""The version of the package, of openenv.yaml and of the OpenAPI document."""

__version__ = "1.0.0"
