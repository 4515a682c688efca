"""A static schedule: `celery -A timetable beat`."""

import os

from celery import Celery

app = Celery("timetable", broker=os.environ["BROKER"], backend=os.environ["BACKEND"])
app.conf.timezone = "Europe/Paris"
app.conf.beat_schedule = {
    "words": {
        "task": "text.word_count",
        "schedule": 1.0,
        "args": ["to be or not to be"],
        "kwargs": {"unique": True},
        "options": {"queue": "ticks", "expires": 1, "priority": 5},
    },
    "python": {
        "task": "py.only",
        "schedule": 1.0,
        "args": [1],
        "options": {"queue": "ticks", "headers": {"x-shop": "7"}},
    },
}
