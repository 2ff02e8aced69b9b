"""The database in Flask: a session for each request, and the migration commands."""

from __future__ import annotations

from flask import Flask
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy

import migrations
from core.db.models import Base
from core.db.transactions import configure_sqlite, engine_options
from core.settings import settings

db = SQLAlchemy(model_class=Base)
_migrate = Migrate(directory=str(next(iter(migrations.__path__))))


def install_database(app: Flask) -> None:
    """Configure the application's database."""
    app.config["SQLALCHEMY_DATABASE_URI"] = settings().database
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = engine_options(settings().database)
    db.init_app(app)
    _migrate.init_app(app, db)
    with app.app_context():
        if db.engine.dialect.name == "sqlite":
            configure_sqlite(db.engine)
