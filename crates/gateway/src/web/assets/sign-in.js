// Spends the single-use code of the link, so that the reader need not press the button.
const form = document.querySelector("form[data-code]");
if (form) form.requestSubmit();
