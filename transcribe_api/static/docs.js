// Fields of a form begin empty: Swagger UI would fill in all of them, also those that exclude each other.
const emptyForms = {
  afterLoad() {
    const sample = this.fn.getSampleSchema;
    this.fn.getSampleSchema = (schema, mediaType, ...more) =>
      mediaType ? sample(schema, mediaType, ...more) : "";
  },
};

// Nothing leaves this machine: without `validatorUrl: null`, the document would be sent to a validator.
SwaggerUIBundle({
  dom_id: "#docs",
  url: "/openapi.json",
  validatorUrl: null,
  deepLinking: true,
  tryItOutEnabled: true,
  plugins: [() => emptyForms],
});
