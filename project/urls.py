from django.contrib import admin
from django.contrib.auth import views as auth
from django.urls import include, path

from predictions.api.described import live
from predictions.api.inference_protocol.views import Server
from predictions.web.views.language import choose
from predictions.web.views.password_change import PasswordChangeView
from predictions.web.views.sign_in import SignInView

handler400 = "project.error_responses.not_understood"
handler404 = "predictions.web.views.errors.not_found"
handler500 = "project.error_responses.failed"
# There is no password reset by mail: this service sends no mail. An administrator sets a new password.
accounts = [
    path("login/", SignInView.as_view(), name="login"),
    path("logout/", auth.LogoutView.as_view(), name="logout"),
    path("password_change/", PasswordChangeView.as_view(), name="password_change"),
    path("password_change/done/", auth.PasswordChangeDoneView.as_view(), name="password_change_done"),
]
urlpatterns = [
    # Django tries the patterns in order, so the most frequent ones come first.
    path("api/v1/", include("predictions.api.urls")),
    # Clients of the Open Inference Protocol do not follow the redirect to a trailing slash.
    path("v2", Server.as_view()),
    path("v2/", include("predictions.api.inference_protocol.urls")),
    path("healthz/live", live),
    path("accounts/", include(accounts)),
    # The admin's own page would not count wrong old passwords, so they could be guessed there.
    path("admin/password_change/", admin.site.admin_view(PasswordChangeView.as_view())),
    path("admin/", admin.site.urls),
    path("language/", choose, name="set_language"),
    path("", include("predictions.web.urls")),
]
