// What the page's head holds of the tasks that are offered and of the methods (app.py).
export const { tasks, methods } = JSON.parse(document.getElementById("records").textContent);

// Whether a method makes a policy, which writes; else it makes a reward model, which scores.
export const makesPolicy = (method) => methods[method].makes === "policy";
