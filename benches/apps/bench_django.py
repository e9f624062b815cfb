"""Django's part of the loads in ../loads.py: a view that answers JSON, with the middleware of a small API."""

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import JsonResponse
from django.urls import path

settings.configure(
    ALLOWED_HOSTS=["*"],
    MIDDLEWARE=["django.middleware.security.SecurityMiddleware", "django.middleware.common.CommonMiddleware"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="not one",
)


def answer(request):
    return JsonResponse({"message": "Hello, World!"})


urlpatterns = [path("", answer)]
app = get_wsgi_application()
