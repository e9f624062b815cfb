"""A whole Django site in one file: `pip install django`, then `rwsgi django_app`."""

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import JsonResponse, StreamingHttpResponse
from django.urls import path

settings.configure(
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="an example has no secrets",
    MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
)


def index(request):
    return JsonResponse({"hello": request.GET.get("name", "World")})


def upload(request):
    file = request.FILES["file"]
    return JsonResponse({"name": file.name, "size": file.size})


def stream(request):
    return StreamingHttpResponse((f"line {number}\n" for number in range(10)), content_type="text/plain")


urlpatterns = [path("", index), path("upload", upload), path("stream", stream)]
application = get_wsgi_application()
