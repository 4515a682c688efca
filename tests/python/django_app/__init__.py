"""A Django project whose tasks run in a worker of ours."""

from .celery import app as celery_app

__all__ = ("celery_app",)
