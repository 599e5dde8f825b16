"""Runs every measurement of speed, one after the other, and renders the page.

python -m bench.speed
"""

from bench.speed import in_process, instructions, page, pool_size, server, startup, stored_episodes

for script in (in_process, instructions, server, startup, pool_size, stored_episodes):
    script.main()
page.main()
