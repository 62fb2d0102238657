const MOVE = 350; // ms that the text's point takes from one place to the next
const NEAR = 12; // pixels from the pointer

export default {
  template: `
    <div class="map">
      <canvas ref="canvas" role="img" :aria-label="titles.length + ' documents as points, and where the text falls'"
              @pointermove="look" @pointerleave="seen = -1; draw()" @click="pick"></canvas>
      <div v-if="seen >= 0" class="map-tip" :style="tip"><b>{{ titles[seen] }}</b><br>{{ names[clusters[seen]] }}</div>
    </div>`,
  props: { points: String, clusters: Array, colours: Array, names: Array, heads: Array, titles: Array,
           place: Array, near: Array },
  emits: ["picked"],
  data: () => ({ seen: -1, tip: {} }),
  mounted() {
    const bytes = Uint8Array.from(atob(this.points), (character) => character.charCodeAt(0));
    this.xy = new Float32Array(bytes.buffer);
    this.at = null;
    this.resized = new ResizeObserver(() => this.draw());
    this.resized.observe(this.$refs.canvas);
    this.darkened = new MutationObserver(() => this.draw());
    this.darkened.observe(document.body, { attributeFilter: ["class"] });
    this.go();
  },
  unmounted() { this.resized.disconnect(); this.darkened.disconnect(); },
  watch: { place: { deep: true, handler() { this.go(); } }, near: { deep: true, handler() { this.draw(); } } },
  methods: {
    go() {
      const from = this.at ?? this.place, to = this.place, start = performance.now();
      cancelAnimationFrame(this.frame);
      const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
      const step = (now) => {
        const t = still ? 1 : Math.min(1, Math.max(0, (now - start) / MOVE)), ease = 1 - (1 - t) ** 3;
        this.at = to && [from[0] + ease * (to[0] - from[0]), from[1] + ease * (to[1] - from[1])];
        this.draw();
        if (to && t < 1) this.frame = requestAnimationFrame(step);
      };
      step(start);
    },
    // The map's square in the middle of the canvas; y goes up.
    screen(x, y) {
      const half = Math.min(this.width, this.height) / 2 - 14;
      return [this.width / 2 + x * half * Math.min(1.35, this.width / this.height), this.height / 2 - y * half];
    },
    draw() {
      const canvas = this.$refs.canvas;
      if (!canvas) return;
      const scale = devicePixelRatio || 1, style = getComputedStyle(canvas);
      [this.width, this.height] = [canvas.clientWidth, canvas.clientHeight];
      if (canvas.width !== Math.round(this.width * scale)) canvas.width = Math.round(this.width * scale);
      if (canvas.height !== Math.round(this.height * scale)) canvas.height = Math.round(this.height * scale);
      const pen = canvas.getContext("2d");
      pen.setTransform(1, 0, 0, 1, 0, 0);
      pen.clearRect(0, 0, canvas.width, canvas.height);
      pen.drawImage(this.layer(canvas, scale, style), 0, 0);
      pen.setTransform(scale, 0, 0, scale, 0, 0);
      const ink = style.getPropertyValue("--ink"), paper = style.getPropertyValue("--paper");
      for (const i of this.seen >= 0 ? [...this.near, this.seen] : this.near)
        this.ring(pen, this.screen(this.xy[2 * i], this.xy[2 * i + 1]), 6, ink, paper);
      if (this.at) {
        const [x, y] = this.screen(...this.at);
        this.ring(pen, [x, y], 13, ink, paper);
        pen.beginPath();
        pen.arc(x, y, 7, 0, 7);
        Object.assign(pen, { fillStyle: ink, strokeStyle: paper, lineWidth: 2 });
        pen.fill();
        pen.stroke();
      }
    },
    // Points and names, which are drawn again when the size or the colours have changed alone.
    layer(canvas, scale, style) {
      const kind = [canvas.width, canvas.height, style.getPropertyValue("--ink")].join();
      if (this.drawn?.kind === kind) return this.drawn.canvas;
      const below = new OffscreenCanvas(canvas.width, canvas.height), pen = below.getContext("2d");
      const size = this.clusters.length > 2000 ? 1.8 : 2.8;
      pen.setTransform(scale, 0, 0, scale, 0, 0);
      pen.globalAlpha = 0.7;
      for (let i = 0; i < this.clusters.length; i++) {
        const [x, y] = this.screen(this.xy[2 * i], this.xy[2 * i + 1]);
        pen.fillStyle = this.colours[this.clusters[i]];
        pen.beginPath();
        pen.arc(x, y, size, 0, 7);
        pen.fill();
      }
      pen.globalAlpha = 1;
      this.drawNames(pen, style);
      this.drawn = { kind, canvas: below };
      return below;
    },
    ring(pen, [x, y], radius, ink, paper) {
      pen.beginPath();
      pen.arc(x, y, radius, 0, 7);
      for (const [strokeStyle, lineWidth] of [[paper, 5], [ink, 2]]) {
        Object.assign(pen, { strokeStyle, lineWidth });
        pen.stroke();
      }
    },
    drawNames(pen, style) {
      const taken = [];
      pen.font = "600 11px " + style.fontFamily;
      Object.assign(pen, { textAlign: "center", textBaseline: "middle", lineJoin: "round", lineWidth: 3.5 });
      this.heads.forEach((head, k) => {
        if (!head) return;
        const name = this.names[k].length > 28 ? this.names[k].slice(0, 27) + "…" : this.names[k];
        const wide = pen.measureText(name).width / 2 + 4;
        let [x, y] = this.screen(...head);
        x = Math.min(Math.max(x, wide), this.width - wide);
        y = Math.max(y - 9, 8);
        if (taken.some(([u, v, w]) => Math.abs(u - x) < w + wide && Math.abs(v - y) < 14)) return;
        taken.push([x, y, wide]);
        pen.strokeStyle = style.getPropertyValue("--paper");
        pen.strokeText(name, x, y);
        pen.fillStyle = style.getPropertyValue("--ink");
        pen.fillText(name, x, y);
      });
    },
    look(event) {
      const box = this.$refs.canvas.getBoundingClientRect(), u = event.clientX - box.left, v = event.clientY - box.top;
      let best = NEAR, found = -1;
      for (let i = 0; i < this.clusters.length; i++) {
        const [x, y] = this.screen(this.xy[2 * i], this.xy[2 * i + 1]), away = Math.hypot(x - u, y - v);
        if (away < best) [best, found] = [away, i];
      }
      this.tip = { left: Math.min(u + 12, this.width - 220) + "px", top: v + 14 + "px" };
      if (found !== this.seen) { this.seen = found; this.draw(); }
    },
    pick(event) { this.look(event); if (this.seen >= 0) this.$emit("picked", this.seen); },
  },
};
