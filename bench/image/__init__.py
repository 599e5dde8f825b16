"""The image of the Dockerfile, built, run and checked with podman."""
