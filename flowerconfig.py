"""Flower's settings. ``FLOWER_BASIC_AUTH`` says who may look: see `docs/operations.md`."""

from core import log

# In place of what Flower has set up by now: lines like those of all other processes.
log.configure_logging()

#: Each takes about 3 KB of its memory; a long recording alone has hundreds.
max_tasks = 10_000
#: The arguments tell which job a step is for.
tasks_columns = "name,args,uuid,state,received,runtime,worker"
#: Seconds after which a worker that is gone is shown no more.
purge_offline_workers = 300
