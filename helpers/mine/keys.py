"""The keyboard of the tab "My photos": a script for the page's head. It uses the editor's own buttons."""

HELP = (
    "Keys: **k** keep, **r** remove, **u** unsure, **e** erase what was painted since the photo was opened; **[** and "
    "**]** the brush's size; **z** undo; **x** reset; **n** next, **p** previous, **y** nothing to correct; "
    "**c** compare. Without a mouse: the **arrow keys** move the brush (with **Shift** they paint), "
    "the **space bar** paints a dot."
)

SCRIPT = """
(() => {
  const find = place => document.querySelector("#mine-editor " + place);
  const press = label => { const button = find(`button[aria-label="${label}"]`); if (button) button.click(); };
  const found = async what => {  // the editor draws its buttons in its own time
    for (let tries = 0; tries < 100 && !what(); tries++) await new Promise(done => setTimeout(done, 30));
    return what();
  };
  const place = { x: 0.5, y: 0.5 };
  let mark, queue = Promise.resolve();

  const canvas = () => find(".pixi-target canvas");
  const send = (kind, x, y, buttons) => canvas().dispatchEvent(new PointerEvent(kind, {
    clientX: x, clientY: y, button: kind === "pointermove" ? -1 : 0, buttons, bubbles: true, cancelable: true,
    pointerId: 1, pointerType: "mouse", isPrimary: true }));
  const point = () => {
    const box = canvas().getBoundingClientRect();
    return [box.left + place.x * box.width, box.top + place.y * box.height];
  };
  const show = () => {
    if (!mark) {
      mark = document.createElement("div");
      mark.id = "mine-cursor";
      mark.style.cssText = "position:fixed;width:14px;height:14px;margin:-7px;border:2px solid #000;outline:2px " +
        "solid #fff;border-radius:50%;pointer-events:none;z-index:1000";
      document.body.append(mark);
    }
    const [x, y] = point();
    mark.style.left = x + "px";
    mark.style.top = y + "px";
  };
  const stroke = (from, to) => {
    send("pointermove", ...from, 0);
    send("pointerdown", ...from, 1);
    send("pointermove", (from[0] + to[0]) / 2, (from[1] + to[1]) / 2, 1);
    send("pointermove", ...to, 1);
    send("pointerup", ...to, 0);
  };
  const move = (x, y, paints) => {
    const from = point(), box = canvas().getBoundingClientRect();
    place.x = Math.min(Math.max(place.x + x / box.width, 0), 1);
    place.y = Math.min(Math.max(place.y + y / box.height, 0), 1);
    show();
    if (paints) stroke(from, point());
  };
  const swatch = colour => document.querySelectorAll("#mine-editor .swatch button")[colour];
  const brush = async colour => {
    press("Brush");
    if (!await found(() => find('button[aria-label="Color"]'))) return;
    if (!swatch(colour)) press("Color");
    const chosen = await found(() => swatch(colour));
    if (chosen) chosen.click();
    if (swatch(colour)) press("Color");
  };
  const range = () => find("input[type=range]");
  const size = async change => {
    if (!range()) press("Brush Size");
    if (!await found(range)) return;
    range().value = Number(range().value) + change;
    for (const kind of ["input", "change"]) range().dispatchEvent(new Event(kind, { bubbles: true }));
    press("Brush Size");
  };
  const click = id => { const button = document.getElementById(id); if (button) button.click(); };
  const keys = {
    k: () => brush(0), r: () => brush(1), u: () => brush(2), e: () => press("Erase"),
    "[": () => size(-6), "]": () => size(6), z: () => press("Undo"), x: () => click("mine-reset"),
    n: () => click("mine-next-photo"), p: () => click("mine-previous"), y: () => click("mine-confirm"),
    c: () => click("mine-compare"), " ": () => { show(); stroke(point(), point().map(side => side + 1)); },
  };
  const arrows = { ArrowLeft: [-10, 0], ArrowRight: [10, 0], ArrowUp: [0, -10], ArrowDown: [0, 10] };
  const writes = target => /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName) && !/^(checkbox|range)$/.test(target.type);
  document.addEventListener("keydown", event => {
    if (event.ctrlKey || event.metaKey || event.altKey || writes(event.target)) return;
    const box = find(".pixi-target");
    if (!box || !box.offsetParent) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const action = arrows[key] ? () => move(...arrows[key], event.shiftKey) : keys[key];
    if (!action || (key === " " && event.target.tagName === "BUTTON")) return;
    event.preventDefault();
    queue = queue.then(action).catch(console.error);  // a key that fails stops none after it
  });
})();
"""
