"""Ray Serve: two replicas of the server on this machine, or on a cluster when Ray is connected to one.

    pip install "dataselect-env[ray-serve]"
    python examples/ray_serve.py

Clients connect to http://127.0.0.1:8000 (OpenEnv's typed client, a WebSocket, HTTP). Those that use HTTP send the
header ``x-session-id``, with a value of their own, so that their requests reach the replica that has their episode.
"""

from ray import serve

from dataselect_env.integrations.ray_serve import application

serve.run(application(num_replicas=2), blocking=True)
