"""Settings of the project; a test says where broker, results and database are."""

import os

SECRET_KEY = "for a test"
ALLOWED_HOSTS = ["testserver"]
INSTALLED_APPS = ["django_celery_beat"]
ROOT_URLCONF = "django_app.views"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["DATABASE"]}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TIME_ZONE = "Europe/Paris"

CELERY_BROKER_URL = os.environ["BROKER"]
CELERY_RESULT_BACKEND = os.environ["BACKEND"]
CELERY_TIMEZONE = TIME_ZONE
