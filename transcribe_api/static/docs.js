// Nothing leaves this machine: without `validatorUrl: null`, the document would be sent to a validator.
SwaggerUIBundle({
  dom_id: "#docs",
  url: "/openapi.json",
  validatorUrl: null,
  deepLinking: true,
  tryItOutEnabled: true,
});
