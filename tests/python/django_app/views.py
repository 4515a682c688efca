"""Pages that have their work done by tasks."""

from celery import group
from celery.result import AsyncResult
from django.db import transaction
from django.http import JsonResponse
from django.urls import path
from django.utils import timezone
from django.utils.translation import gettext_lazy

from .tasks import echo, fails, word_count

PATIENCE = 40  # seconds; a busy machine needs some of them


def words(request):
    """Waits for its task."""
    return JsonResponse({"words": word_count.delay(request.GET["text"]).get(timeout=PATIENCE)})


def words_of_all(request):
    """Waits for as many tasks as there are texts."""
    work = group(word_count.s(text, unique=True) for text in request.GET.getlist("text"))
    return JsonResponse({"words": work.apply_async().get(timeout=PATIENCE)})


def refused(request):
    """Shows what a task raised as the visitor's mistake."""
    try:
        fails.delay("ValueError", message=request.GET["text"]).get(timeout=PATIENCE)
    except ValueError as error:
        return JsonResponse({"refused": str(error)}, status=422)


def later(request):
    """Sends its task when what it wrote is stored, and says where to look."""
    with transaction.atomic():
        word_count.delay_on_commit("it is never sent", unique=True)
        transaction.set_rollback(True)
    sent = []
    with transaction.atomic():
        transaction.on_commit(lambda: sent.append(word_count.apply_async((request.GET["text"],), countdown=1)))
    return JsonResponse({"task": sent[0].id}, status=202)


def task(request, name):
    """Shows the state of a task that another request sent."""
    result = AsyncResult(name)
    return JsonResponse({"state": result.state, "result": result.result if result.ready() else None})


def kinds(request):
    """Sends and gets what Django has and JSON has not."""
    now = timezone.now()
    same = echo.delay({"at": now, "label": gettext_lazy("Ünïcode")}).get(timeout=PATIENCE)
    return JsonResponse({"same": same == {"at": now, "label": "Ünïcode"}})


urlpatterns = [
    path("words/", words),
    path("words/all/", words_of_all),
    path("refused/", refused),
    path("later/", later),
    path("task/<str:name>/", task),
    path("kinds/", kinds),
]
