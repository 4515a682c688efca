"""What `celery -A app` works with: the broker of a test, and no tasks of its own."""

import os

from celery import Celery

app = Celery("app", broker=os.environ["BROKER"], backend=os.environ.get("BACKEND"))
app.conf.broker_connection_retry_on_startup = True
