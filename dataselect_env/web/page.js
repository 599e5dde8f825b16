// What every part of the page needs.

export const PACE = 450; // milliseconds between two steps that nobody clicks

export const wait = (time) => new Promise((resolve) => setTimeout(resolve, time));

export const byId = (name) => document.getElementById(name);
