"""Run the migrations on the database in the settings, and add the engines of plugins."""

from __future__ import annotations

from alembic import context

from core.db.models import Base, compare_type
from core.db.transactions import engine
from migrations import engines

OPTIONS = {"target_metadata": Base.metadata, "compare_type": compare_type, "render_as_batch": True}

if context.is_offline_mode():
    context.configure(url=engine().url, literal_binds=True, **OPTIONS)
    with context.begin_transaction():
        context.run_migrations()
else:
    with engine().connect() as connection:
        context.configure(connection=connection, **OPTIONS)
        with context.begin_transaction():
            context.run_migrations()
            engines.add_engines(connection)
