// Loads Swagger UI only when the button is pressed: it has half a megabyte, and few readers of the page need it.

const holder = document.getElementById("swagger-ui"), button = document.getElementById("draw"), said = document.getElementById("drawn");
const dark = matchMedia("(prefers-color-scheme: dark)");

const loaded = (tag, attributes) => new Promise((resolve, reject) => {
  document.head.append(Object.assign(document.createElement(tag), attributes, { onload: resolve, onerror: reject }));
});

// Requests of a session need the CSRF token. Without a session, the page has no token.
function withToken(request) {
  const token = document.querySelector("[name=csrfmiddlewaretoken]")?.value;
  if (token && request.method && request.method !== "GET") request.headers["X-CSRFToken"] = token;
  return request;
}

const followScheme = () => document.documentElement.classList.toggle("dark-mode", dark.matches);

button.hidden = false;
button.addEventListener("click", async () => {
  button.disabled = true;
  said.textContent = button.dataset.loading;
  try {
    await Promise.all([
      loaded("link", { rel: "stylesheet", href: holder.dataset.css }),
      loaded("script", { src: holder.dataset.bundle }),
    ]);
  } catch {
    said.textContent = button.dataset.failed;
    button.disabled = false;
    return;
  }
  followScheme();
  dark.addEventListener("change", followScheme);
  holder.hidden = false;
  button.hidden = true;
  said.textContent = "";
  SwaggerUIBundle({ url: holder.dataset.schema, domNode: holder, deepLinking: true, requestInterceptor: withToken });
});
