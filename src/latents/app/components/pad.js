const HEIGHT = 252; // pixels of the canvas, whatever its size on the page
const BRUSH = 20;
const AT_LEAST = 50; // ms between two tellings of what is drawn
const LARGEST_FILE = 30e6; // bytes
const LARGEST_PICTURE = 40e6; // pixels

export default {
  template: `
    <div class="pad" :class="{over}"
         @dragover.prevent="over = true" @dragleave="over = false" @drop.prevent="drop($event.dataTransfer)">
      <canvas ref="canvas" :width="Math.round(${HEIGHT} * ratio)" height="${HEIGHT}" role="img"
              aria-label="Draw here with a mouse or a finger, or drop a picture"
              @pointerdown.prevent="begin" @pointermove="go" @pointerup="end" @pointercancel="end"></canvas>
      <label v-if="colours" class="ink">ink <input type="color" v-model="ink"></label>
      <input ref="files" type="file" hidden accept="image/*" @change="take($refs.files.files[0]); $refs.files.value = ''">
    </div>`,
  props: { ratio: Number, colours: Boolean },
  emits: ["drawn", "refused"],
  data: () => ({ over: false, ink: "#ffffff", from: null, timer: null, byHand: true, isShown: false }),
  mounted() { this.clear(); window.addEventListener("paste", this.pasted); },
  unmounted() { window.removeEventListener("paste", this.pasted); },
  methods: {
    pen() { return this.$refs.canvas.getContext("2d", { willReadFrequently: true }); },
    place(event) {
      const { width, height } = this.$refs.canvas, box = this.$refs.canvas.getBoundingClientRect();
      return [(event.clientX - box.left) * width / box.width, (event.clientY - box.top) * height / box.height];
    },
    begin(event) {
      if (this.isShown) this.clear(); // what the page has put there is not drawn on
      this.$refs.canvas.setPointerCapture(event.pointerId);
      this.from = this.place(event);
      this.line(this.from);
    },
    go(event) { if (this.from) for (const e of event.getCoalescedEvents?.() ?? [event]) this.line(this.place(e)); },
    end() { if (this.from) { this.from = null; this.tell(true); } },
    line(to) {
      const pen = this.pen();
      Object.assign(pen, { lineWidth: BRUSH, lineCap: "round", lineJoin: "round", strokeStyle: this.ink });
      pen.beginPath();
      pen.moveTo(...this.from);
      pen.lineTo(...to);
      pen.stroke();
      this.from = to;
      this.byHand = true;
      this.tell();
    },
    tell(now = false) {
      if (this.timer && !now) return;
      clearTimeout(this.timer);
      const told = () => {
        this.timer = null;
        this.$emit("drawn", { png: this.$refs.canvas.toDataURL("image/png"), byHand: this.byHand });
      };
      if (now) told(); else this.timer = setTimeout(told, AT_LEAST);
    },
    clear() {
      const { width, height } = this.$refs.canvas;
      Object.assign(this.pen(), { fillStyle: "#000", filter: "none" }).fillRect(0, 0, width, height);
      [this.byHand, this.isShown] = [true, false];
    },
    invert() {
      const { width, height } = this.$refs.canvas, pen = this.pen(), all = pen.getImageData(0, 0, width, height);
      for (let i = 0; i < all.data.length; i++) if (i % 4 < 3) all.data[i] = 255 - all.data[i];
      pen.putImageData(all, 0, 0);
      this.tell(true);
    },
    async show(url) {
      const picture = new Image();
      picture.src = url;
      await picture.decode();
      this.cover(picture, picture.naturalWidth, picture.naturalHeight, false);
      this.isShown = true;
    },
    // Fills the canvas; what juts out is cut off, as in training.
    cover(picture, w, h, smooth = true) {
      const { width, height } = this.$refs.canvas, pen = this.pen(), scale = Math.max(width / w, height / h);
      this.clear();
      Object.assign(pen, { imageSmoothingEnabled: smooth, imageSmoothingQuality: "high",
                           filter: this.colours ? "none" : "grayscale(1)" });
      pen.drawImage(picture, (width - w * scale) / 2, (height - h * scale) / 2, w * scale, h * scale);
      pen.filter = "none";
      this.byHand = false;
    },
    choose() { this.$refs.files.click(); },
    drop(transfer) {
      this.over = false;
      if (transfer.files.length) this.take(transfer.files[0]);
      else this.$emit("refused", "That is no file; drop a picture that lies on this computer.");
    },
    pasted(event) {
      const file = [...event.clipboardData.files].find((one) => one.type.startsWith("image/"));
      if (file) { event.preventDefault(); this.take(file); }
    },
    async take(file) {
      if (!file) return;
      if (file.size > LARGEST_FILE) return this.$emit("refused",
        `${file.name} has ${(file.size / 1e6).toFixed(0)} MB; this page takes pictures of up to ${LARGEST_FILE / 1e6}.`);
      let picture;
      try { picture = await createImageBitmap(file); }
      catch { return this.$emit("refused", `${file.name} is no picture that this browser can read.`); }
      const megapixels = picture.width * picture.height / 1e6;
      if (megapixels > LARGEST_PICTURE / 1e6) {
        picture.close();
        return this.$emit("refused", `${file.name} has ${megapixels.toFixed(0)} megapixels; this page takes ` +
          `pictures of up to ${LARGEST_PICTURE / 1e6}. A smaller copy will do: the model reads a few hundred pixels.`);
      }
      this.cover(picture, picture.width, picture.height);
      picture.close();
      this.tell(true);
    },
  },
};
