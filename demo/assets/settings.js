// A tab's slider settings: undo and redo, presets, in the page's address, as an API call. Pictures and their names are
// in none of these. The other side is demo/parts/settings_bar.py; a state is [model, value, value, ...].
window.studioSettings = (() => {
  const tabs = {};
  const of = (tab) => (tabs[tab] ??= { past: [], future: [], now: null, next: null, wanted: null });
  const place = (tab) => document.querySelector(`[data-settings="${tab}"]`);
  const spec = (tab) => JSON.parse(place(tab).dataset.spec);
  const known = (tab, model) => spec(tab).models[model]?.sliders;  // [name, low, high, value at rest or null] each
  const press = (tab) => document.querySelector(`#${place(tab).dataset.prefix}-apply`).click();
  const rounded = (value) => Math.round(Number(value) * 1000) / 1000;
  const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

  const atRest = (tab, model) => {
    const rests = known(tab, model)?.map(([, , , rest]) => rest);
    return rests && !rests.includes(null) ? [model, ...rests] : null;
  };
  const changed = (tab, [model, ...values]) =>
    Object.fromEntries(
      (known(tab, model) ?? []).map(([name, , , rest], i) => [name, values[i], rest])
        .filter(([, value, rest]) => value !== rest).map(([name, value]) => [name, value]),
    );

  const write = (tab, state) => {
    const query = new URLSearchParams(changed(tab, state));
    if (state[0] !== Object.keys(spec(tab).models)[0]) query.set("model", state[0]);
    const text = query.toString();
    history.replaceState(history.state, "", `${location.pathname}${location.search}#${tab}${text && "?" + text}`);
  };
  const read = () => {
    const [tab, query] = location.hash.slice(1).split("?");
    return /^[a-z_]+$/.test(tab) ? { tab, query: new URLSearchParams(query ?? "") } : null;
  };

  // Values of the address for this model: unknown names are passed over, what is out of range is set to its end.
  const fromQuery = (tab, query, [model, ...values]) => [
    model,
    ...values.map((value, i) => {
      const [name, low, high] = known(tab, model)?.[i] ?? [];
      const text = name && query.get(name), number = Number(text);
      return text && Number.isFinite(number) ? Math.min(high, Math.max(low, number)) : value;
    }),
  ];

  const keep = (tab, state) => {
    const t = of(tab);
    const before = t.now ?? atRest(tab, state[0]);
    if (same(before, state)) return;
    if (before && before[0] === state[0]) t.past.push(before);
    t.future = [];
    t.now = state;
    write(tab, state);
  };
  const clean = ([model, ...values]) => [model, ...values.map(rounded)];

  // What the events call; `state` is what the page shows now.
  const record = (tab, ...state) => keep(tab, clean(state));
  const arrive = (tab, ...state) => {  // another face, or other weights: what was before does not fit it
    const t = of(tab);
    Object.assign(t, { past: [], future: [], now: clean(state) });
    const names = known(tab, state[0])?.map(([name]) => name) ?? [];
    spec(tab).presets.forEach((used, i) => {
      const button = document.querySelector(`#${place(tab).dataset.prefix}-preset-${i}`);
      button.classList.toggle("unsuitable", !used.some((name) => names.includes(name)));
    });
    if (t.wanted) press(tab);
  };
  const step = (tab, back) => {
    const t = of(tab), [from, to] = back ? [t.past, t.future] : [t.future, t.past];
    if (!from.length) return;
    to.push(t.now);
    t.now = t.next = from.pop();
    press(tab);
  };
  const preset = (tab, values, ...state) => {
    const [model, ...now] = clean(state);
    const next = now.map((value, i) => {
      const [name, , , rest] = known(tab, model)?.[i] ?? [];
      return name in values ? values[name] : rest ?? value;
    });
    of(tab).next = [model, ...next];
    press(tab);
  };
  const apply = (tab, ...state) => {
    const t = of(tab);
    let next = t.next;
    if (!next && t.wanted) {
      const model = t.wanted.get("model");
      if (model && model !== state[0] && known(tab, model)) return [model, ...state.slice(1)];  // then it arrives
      next = fromQuery(tab, t.wanted, clean(state));
      t.wanted = null;
    }
    t.next = null;
    if (!next) return state;
    if (!same(t.now, next)) keep(tab, next);
    else write(tab, next);
    return next;
  };
  const call = (tab, ...state) => {
    const now = clean(state), { api } = spec(tab).models[now[0]] ?? {};
    if (!api) return { __type__: "update", visible: true, value: "These weights have no API call." };
    const values = Object.fromEntries(known(tab, now[0]).map(([name], i) => [name, now[i + 1]]));
    const text = api
      .replace("{changed}", JSON.stringify(changed(tab, now)).replaceAll(":", ": ").replaceAll(",", ", "))
      .replace(/\{(\w+)\}/g, (all, name) => values[name] ?? all)
      .replace("{address}", location.origin + location.pathname);
    return { __type__: "update", visible: true, value: text };
  };

  // The address that the page was opened with: go to its tab and set the sliders once they are there.
  const opened = read();
  const until = (find, then, triesLeft = 600) => {
    const found = find();
    if (found) then(found);
    else if (triesLeft > 0) setTimeout(() => until(find, then, triesLeft - 1), 100);
  };
  if (opened) {
    const { tab, query } = opened;
    until(
      () => document.body?.dataset.listening !== undefined && document.querySelector(`[role=tab][data-tab-id="${tab}"]`),
      (button) => {
        if (button.getAttribute("aria-selected") !== "true") button.click();
        if (![...query].length) return;
        of(tab).wanted = query;
        until(() => place(tab), (found) => found.dataset.arrives === "no" && press(tab));
      },
      100,
    );
  }
  return { record, arrive, step, preset, apply, call };
})();
