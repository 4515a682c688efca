"""A Flask application whose tasks run in a worker of ours, as Flask's guide has it."""

import os

from celery import Celery, Task, shared_task
from celery.result import AsyncResult
from flask import Flask, jsonify, request

PATIENCE = 40  # seconds; a busy machine needs some of them


@shared_task(name="text.word_count", ignore_result=False)
def word_count(text, unique=False):
    raise AssertionError("this ran in Python")


@shared_task(name="text.join", bind=True)
def join(self, *parts, separator=" "):
    raise AssertionError("this ran in Python")


@shared_task(name="flaky.fails")
def fails(kind, message):
    raise AssertionError("this ran in Python")


def make_celery(app):
    class ContextTask(Task):
        def __call__(self, *args, **kwargs):
            with app.app_context():
                return self.run(*args, **kwargs)

    celery = Celery(app.name, task_cls=ContextTask)
    celery.config_from_object(app.config["CELERY"])
    celery.set_default()
    app.extensions["celery"] = celery
    return celery


def create_app():
    app = Flask(__name__)
    app.config["CELERY"] = {
        "broker_url": os.environ["BROKER"],
        "result_backend": os.environ["BACKEND"],
        "task_ignore_result": True,
    }
    make_celery(app)

    @app.get("/words")
    def words():
        """Waits for its task."""
        return jsonify(words=word_count.delay(request.args["text"]).get(timeout=PATIENCE))

    @app.post("/joined")
    def joined():
        """Sends what the visitor sent, and waits, though tasks have no results by default."""
        call = join.apply_async(request.json["parts"], {"separator": "+"}, ignore_result=False)
        return jsonify(joined=call.get(timeout=PATIENCE))

    @app.get("/refused")
    def refused():
        """Shows what a task raised as the visitor's mistake."""
        try:
            fails.apply_async(["ValueError", request.args["text"]], ignore_result=False).get(timeout=PATIENCE)
        except ValueError as error:
            return jsonify(refused=str(error)), 422

    @app.post("/later")
    def later():
        """Sends its task and says where to look."""
        call = word_count.apply_async([request.args["text"]], countdown=1)
        return jsonify(task=call.id), 202

    @app.get("/task/<name>")
    def task(name):
        """Shows the state of a task that another request sent."""
        result = AsyncResult(name)
        return jsonify(state=result.state, result=result.result if result.ready() else None)

    return app
