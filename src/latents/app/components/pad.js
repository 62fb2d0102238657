const HEIGHT = 252; // pixels of the canvas, whatever its size on the page
const BRUSH = 20;
const AT_LEAST = 50; // ms between two tellings of what is drawn
const LARGEST_FILE = 30e6; // bytes
const LARGEST_PICTURE = 40e6; // pixels

export default {
  template: `
    <div class="pad" :class="{over}" :style="{'--ratio': ratio}"
         @dragover.prevent="over = true" @dragleave="over = false" @drop.prevent="drop($event.dataTransfer)">
      <canvas ref="canvas" :width="Math.round(${HEIGHT} * ratio)" height="${HEIGHT}" role="img"
              aria-label="Draw here with a mouse or a finger, or drop a picture"
              @pointerdown.prevent="begin" @pointermove="go" @pointerup="end" @pointercancel="end"></canvas>
      <div v-if="isExchanged" class="note" role="status">Dark ink on a bright ground was exchanged.</div>
      <label v-if="colours" class="ink">ink <input type="color" v-model="ink"></label>
      <input ref="files" type="file" hidden accept="image/*" @change="take($refs.files.files[0]); $refs.files.value = ''">
    </div>`,
  props: { ratio: Number, colours: Boolean, inkOnDark: Boolean },
  emits: ["drawn", "refused"],
  data: () => ({
    over: false, ink: "#ffffff", from: null, timer: null, byHand: true,
    isShown: false, // by the page
    isOpened: false, // a picture of the user
    isExchanged: false, // its black and white
    drawings: 0, // of the user; the page says with each picture how many it knows of
    pending: "", // the picture that is about to be shown
  }),
  mounted() { this.clear(); window.addEventListener("paste", this.pasted); },
  unmounted() { window.removeEventListener("paste", this.pasted); },
  methods: {
    pen() { return this.$refs.canvas.getContext("2d", { willReadFrequently: true }); },
    place(event) {
      const { width, height } = this.$refs.canvas, box = this.$refs.canvas.getBoundingClientRect();
      return [(event.clientX - box.left) * width / box.width, (event.clientY - box.top) * height / box.height];
    },
    begin(event) {
      if (event.button !== 0 || !event.isPrimary) return;
      this.drawings += 1;
      if (this.isShown) this.clear(); // what the page has put there is not drawn on
      this.$refs.canvas.setPointerCapture(event.pointerId);
      this.from = this.place(event);
      this.line(this.from);
    },
    go(event) {
      if (!this.from || !event.isPrimary) return;
      for (const e of event.getCoalescedEvents?.() ?? [event]) this.line(this.place(e));
    },
    end(event) { if (this.from && event.isPrimary) { this.from = null; this.tell(true); } },
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
        const png = this.$refs.canvas.toDataURL("image/png");
        this.$emit("drawn", { png, byHand: this.byHand, drawings: this.drawings });
      };
      if (now) told(); else this.timer = setTimeout(told, AT_LEAST);
    },
    wipe() {
      clearTimeout(this.timer);
      [this.timer, this.pending] = [null, ""];
      this.clear();
    },
    clear() {
      const { width, height } = this.$refs.canvas;
      Object.assign(this.pen(), { fillStyle: "#000", filter: "none" }).fillRect(0, 0, width, height);
      [this.byHand, this.isShown, this.isOpened, this.isExchanged] = [true, false, false, false];
    },
    invert() {
      this.drawings += 1;
      this.exchange();
      this.tell(true);
    },
    exchange() {
      const { width, height } = this.$refs.canvas, pen = this.pen(), all = pen.getImageData(0, 0, width, height);
      for (let i = 0; i < all.data.length; i++) if (i % 4 < 3) all.data[i] = 255 - all.data[i];
      pen.putImageData(all, 0, 0);
      // Ink that is now as the model's is centred as that of drawings is.
      if (this.isOpened && this.inkOnDark) this.byHand = this.isExchanged = !this.isExchanged && !this.hasBrightEdge();
    },
    hasBrightEdge() {
      const { width, height } = this.$refs.canvas;
      const sides = [[0, 0, width, 1], [0, height - 1, width, 1], [0, 0, 1, height], [width - 1, 0, 1, height]];
      let [sum, n] = [0, 0];
      for (const side of sides) {
        const { data } = this.pen().getImageData(...side);
        for (let i = 0; i < data.length; i += 4) { sum += data[i] + data[i + 1] + data[i + 2]; n += 3; }
      }
      return sum / n > 255 / 2;
    },
    // What the page shows comes late: it must not cover what the user has drawn meanwhile.
    async show(url, drawings) {
      const picture = new Image();
      this.pending = picture.src = url;
      try { await picture.decode(); } catch { return; } // the page has told of it
      if (this.pending !== url || this.from || this.drawings > drawings) return;
      this.cover(picture, picture.naturalWidth, picture.naturalHeight, false);
      this.isShown = true;
    },
    // Fills the canvas; what juts out is cut off, as in training.
    cover(picture, w, h, smooth = true) {
      const { width, height } = this.$refs.canvas, pen = this.pen(), scale = Math.max(width / w, height / h);
      this.clear();
      Object.assign(pen, { fillStyle: "#fff" }).fillRect(0, 0, width, height); // what is transparent is on paper
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
        `${file.name} has ${(file.size / 1e6).toFixed(0)} MB; this page takes pictures of up to ${LARGEST_FILE / 1e6} MB.`);
      let picture;
      try { picture = await createImageBitmap(file); }
      catch { return this.$emit("refused", `${file.name} is no picture that this browser can read.`); }
      const megapixels = picture.width * picture.height / 1e6;
      if (megapixels > LARGEST_PICTURE / 1e6) {
        picture.close();
        return this.$emit("refused", `${file.name} has ${megapixels.toFixed(0)} megapixels; this page takes ` +
          `pictures of up to ${LARGEST_PICTURE / 1e6} megapixels. A smaller copy will do: the model reads a few hundred pixels.`);
      }
      this.drawings += 1;
      this.cover(picture, picture.width, picture.height);
      picture.close();
      this.isOpened = true;
      if (this.inkOnDark && this.hasBrightEdge()) this.exchange();
      this.tell(true);
    },
  },
};
