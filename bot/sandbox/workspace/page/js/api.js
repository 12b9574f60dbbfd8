// Talks to the people's door (/sandbox/…), as the person chosen in the sidebar.

export const me = { user: localStorage.getItem("user") || "U0ADA" };

export async function act(what, args = {}) {
  const body = JSON.stringify({ user: me.user, ...args });
  return answer(await fetch(`/sandbox/${what}`, { method: "POST", body, headers: { "Content-Type": "application/json" } }));
}

export async function upload(fields, files) {
  const form = new FormData();
  for (const [name, value] of Object.entries({ user: me.user, ...fields })) if (value) form.append(name, value);
  for (const file of files) form.append("file", file, file.name);
  return answer(await fetch("/sandbox/upload", { method: "POST", body: form }));
}

export async function snapshot(channel, thread) {
  const query = new URLSearchParams({ user: me.user });
  if (channel) query.set("channel", channel);
  if (thread) query.set("thread_ts", thread);
  return answer(await fetch(`/sandbox/snapshot?${query}`));
}

async function answer(response) {
  const found = await response.json();
  if (!response.ok && !found.error) found.error = String(response.status);
  return found;
}

export function onChange(heard) {
  const source = new EventSource("/sandbox/changes");
  source.onmessage = () => heard();
  source.onerror = () => document.body.classList.add("offline");
  source.onopen = () => document.body.classList.remove("offline");
}
