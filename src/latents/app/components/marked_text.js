// The words are marked on a layer below the box, which has the same text in the same place and no ink of its own.
// Marks are highlights (CSS.highlights) of one text: an element for each word would take seconds to lay out.
const AT_LEAST = 60; // ms between two tellings of what is typed
const LARGEST_FILES = 20e6; // bytes
const LEVELS = 5; // of strength, on either side

export default {
  template: `
    <div class="marked" :class="{over}"
         @dragover.prevent="over = true" @dragleave="over = false" @drop.prevent.stop="drop($event.dataTransfer)">
      <div class="marked-below" ref="below" aria-hidden="true"></div>
      <textarea ref="box" :placeholder="placeholder" :aria-label="label" spellcheck="false"
                @input="typed" @scroll="follow"></textarea>
      <input ref="files" type="file" multiple hidden accept=".txt,.md,.csv,.tsv,.json,.jsonl,.ndjson,text/plain"
             @change="take([...$refs.files.files]); $refs.files.value = ''">
    </div>`,
  props: { label: String, placeholder: String, longest: Number, files: String },
  emits: ["typed", "refused"],
  data: () => ({ over: false }),
  mounted() {
    Object.assign(this, { timer: null, last: 0, version: 0, marks: [] });
    this.text = document.createTextNode("");
    this.$refs.below.append(this.text, "\u200b"); // the last line, too, has a height
    addEventListener("drop", this.dropped);
  },
  unmounted() { removeEventListener("drop", this.dropped); },
  methods: {
    typed() {
      this.shift(this.$refs.box.value);
      if (this.timer) return;
      const wait = Math.max(0, this.last + AT_LEAST - Date.now());
      this.timer = setTimeout(() => this.tell(), wait);
    },
    tell() {
      clearTimeout(this.timer);
      Object.assign(this, { timer: null, last: Date.now(), version: this.version + 1 });
      const text = this.$refs.box.value;
      if (text.length <= this.longest) return this.$emit("typed", { text, version: this.version });
      this.paint([]);
      this.$emit("refused", { length: text.length });
    },
    // Until the answer comes, marks move with their words, and those of words that change go.
    shift(now) {
      const before = this.text.data, most = Math.min(before.length, now.length);
      let head = 0, tail = 0;
      while (head < most && before[head] === now[head]) head++;
      while (tail < most - head && before[before.length - 1 - tail] === now[now.length - 1 - tail]) tail++;
      const by = now.length - before.length;
      const kept = this.marks.flatMap(([start, stop, level]) => stop <= head ? [[start, stop, level]]
        : start >= before.length - tail ? [[start + by, stop + by, level]] : []);
      this.text.data = now;
      this.paint(kept);
      this.follow();
    },
    paint(marks) {
      this.marks = marks;
      const highlights = {};
      for (const [start, stop, level] of marks) {
        const range = new Range();
        range.setStart(this.text, start);
        range.setEnd(this.text, stop);
        (highlights[level] ??= new Highlight()).add(range);
      }
      for (let level = -LEVELS; level <= LEVELS; level++) {
        const name = `${level > 0 ? "for" : "against"}-${Math.abs(level)}`;
        if (highlights[level]) CSS.highlights.set(name, highlights[level]);
        else if (level) CSS.highlights.delete(name);
      }
    },
    mark(version, marks) { if (version === this.version && !this.timer) this.paint(marks); },
    follow() { this.$refs.below.scrollTop = this.$refs.box.scrollTop; },
    show(text) {
      this.$refs.box.value = text;
      this.$refs.box.scrollTop = 0;
      this.shift(text);
      this.tell();
    },
    choose() { this.$refs.files.click(); },
    dropped(event) { if (event.dataTransfer?.files.length) this.drop(event.dataTransfer); },
    drop(transfer) {
      this.over = false;
      if (transfer.files.length) return this.take([...transfer.files]);
      const text = transfer.getData("text/plain");
      if (text) this.show(text);
    },
    async take(files) {
      if (!files.length) return;
      const size = files.reduce((sum, file) => sum + file.size, 0);
      if (size > LARGEST_FILES) return this.$emit("refused", { reason:
        `That is ${(size / 1e6).toFixed(0)} MB; this page reads files of up to ${LARGEST_FILES / 1e6} MB together. ` +
        "`kedro run --pipelines clustering_inference` reads larger ones." });
      const told = encodeURIComponent(JSON.stringify(files.map((file) => [file.name, file.size])));
      let reason = "";
      try {
        const answer = await fetch(`${this.files}?files=${told}`, { method: "POST", body: new Blob(files) });
        if (!answer.ok) reason = await answer.text();
      } catch { reason = "The page's server does not answer; is `make app` still running in its terminal?"; }
      if (reason) this.$emit("refused", { reason });
    },
  },
};
