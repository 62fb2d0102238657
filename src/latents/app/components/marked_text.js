// The words are marked on a layer below the box, which has the same text in the same place and no ink of its own.
const AT_LEAST = 60; // ms between two tellings of what is typed
const LARGEST_FILES = 20e6; // bytes

export default {
  template: `
    <div class="marked" :class="{over}"
         @dragover.prevent="over = true" @dragleave="over = false" @drop.prevent="drop($event.dataTransfer)">
      <div class="marked-below" ref="below" aria-hidden="true"><template v-for="[piece, share] in pieces"><span
        v-if="share" :class="share > 0 ? 'for' : 'against'" :style="{'--share': Math.abs(share)}">{{ piece }}</span
        ><template v-else>{{ piece }}</template></template>&nbsp;</div>
      <textarea ref="box" :placeholder="placeholder" :aria-label="label" spellcheck="false"
                @input="typed" @scroll="follow"></textarea>
      <input ref="files" type="file" multiple hidden accept=".txt,.md,.csv,.tsv,.jsonl,.ndjson,text/plain"
             @change="take([...$refs.files.files]); $refs.files.value = ''">
    </div>`,
  props: { label: String, placeholder: String, longest: Number, files: String, pieces: Array, given: String },
  emits: ["typed", "refused"],
  data: () => ({ over: false, timer: null, last: 0 }),
  methods: {
    typed() {
      if (this.timer) return;
      const wait = Math.max(0, this.last + AT_LEAST - Date.now());
      this.timer = setTimeout(() => { this.timer = null; this.last = Date.now(); this.tell(); }, wait);
    },
    tell() {
      const text = this.$refs.box.value;
      if (text.length > this.longest) this.refuse(`The text has ${text.length.toLocaleString("en")} characters; ` +
        `this page reads texts of up to ${this.longest.toLocaleString("en")}. A part of it will do.`);
      else this.$emit("typed", text);
    },
    refuse(reason) { this.$emit("refused", reason); },
    follow() { this.$refs.below.scrollTop = this.$refs.box.scrollTop; },
    show(text) { this.$refs.box.value = text; this.$refs.box.scrollTop = 0; this.follow(); },
    choose() { this.$refs.files.click(); },
    drop(transfer) {
      this.over = false;
      if (transfer.files.length) return this.take([...transfer.files]);
      const text = transfer.getData("text/plain");
      if (text) { this.show(text); this.tell(); }
    },
    async take(files) {
      if (!files.length) return;
      const size = files.reduce((sum, file) => sum + file.size, 0);
      if (size > LARGEST_FILES) return this.refuse(
        `That is ${(size / 1e6).toFixed(0)} MB; this page reads files of up to ${LARGEST_FILES / 1e6} MB together. ` +
        "kedro run --pipelines clustering_inference reads larger ones.");
      if (files.length === 1 && /\.(txt|md)$/i.test(files[0].name)) {
        this.show(await files[0].text());
        return this.tell();
      }
      const plain = files.length > 1;
      const body = plain ? JSON.stringify(await Promise.all(files.map((file) => file.text()))) : files[0];
      const name = plain ? "texts.json" : files[0].name;
      const answer = await fetch(`${this.files}?name=${encodeURIComponent(name)}`, { method: "POST", body });
      if (!answer.ok) this.refuse(await answer.text());
    },
  },
};
