// Records of the offered tasks and of the methods, from the page's head (views/head.py).
export const { tasks, methods } = JSON.parse(document.getElementById("records").textContent);

// Whether a method makes a policy, which writes; other methods make a reward model, which scores.
export const makesPolicy = (method) => methods[method].makes === "policy";
