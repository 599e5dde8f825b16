"""Ray Serve: two replicas of the server on this machine, or on a cluster when Ray is connected to one.

    pip install "dataselect-env[ray-serve]"
    python examples/ray_serve.py

Clients connect to http://127.0.0.1:8000 with OpenEnv's typed client, a WebSocket or HTTP. An HTTP client sends a header
``x-session-id`` with a value of its own, so that its requests reach the replica that has its episode.
"""

from ray import serve

from dataselect_env.integrations.ray_serve import application

serve.run(application(num_replicas=2), blocking=True)
