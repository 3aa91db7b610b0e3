// Written for this service. Addresses are relative, so that the page also works behind a gateway that removes a prefix.
const dark = window.matchMedia("(prefers-color-scheme: dark)");
const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", follow);
follow();

SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  displayRequestDuration: true,
  validatorUrl: null, // would call a server on the Internet
  onComplete: () => {
    // Swagger UI draws the main landmark. What stands before it is in none, and no heading has the second level.
    const before = { ".information-container": "About the API", ".schemes-server-container": "Server" };
    for (const [parts, label] of Object.entries(before)) {
      for (const each of document.querySelectorAll(parts)) {
        each.setAttribute("role", "region");
        each.setAttribute("aria-label", label);
      }
    }
    for (const each of document.querySelectorAll("h3.opblock-tag, .models h4")) each.setAttribute("aria-level", "2");
  },
});
