"""Flower's settings. ``FLOWER_BASIC_AUTH`` restricts access: see `docs/operations.md`."""

from core import log

# Replaces Flower's logging, so that its lines look like those of all other processes.
log.configure_logging()

#: Each task takes about 3 KB of Flower's memory, and a long recording has hundreds.
max_tasks = 10_000
#: The arguments show the job of a step.
tasks_columns = "name,args,uuid,state,received,runtime,worker"
#: Seconds after which a stopped worker is no longer shown.
purge_offline_workers = 300
