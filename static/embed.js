// In an embedded page: tells the page around it how high this one is. Only the origin of the embedding hears it.
const { host } = document.documentElement.dataset;
if (parent !== window)
  new ResizeObserver(() => parent.postMessage({ foretellHeight: document.body.offsetHeight }, host)).observe(document.body);
