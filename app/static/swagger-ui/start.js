SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#documentation",
  deepLinking: true,
  tryItOutEnabled: true,
  validatorUrl: null,
  // Colouring bodies of real size would hold the page up for seconds.
  syntaxHighlight: false,
  defaultModelsExpandDepth: -1,
});
