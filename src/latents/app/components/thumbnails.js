export default {
  template: `
    <div class="thumbnails" role="group" :aria-label="label">
      <component v-for="(item, i) in items" :key="i" :is="pickable ? 'button' : 'figure'" :type="pickable ? 'button' : null"
                 class="thumbnail" :class="{chosen: i === chosen}" :aria-pressed="pickable ? i === chosen : null"
                 @click="pickable && $emit('picked', i)">
        <img :src="item.src" :alt="called(item.caption, i)" draggable="false"><span v-if="item.caption">{{ item.caption }}</span>
      </component>
    </div>`,
  props: { label: String, each: String, items: Array, pickable: Boolean, chosen: Number },
  emits: ["picked"],
  methods: {
    called(caption, i) {
      if (!this.each) return caption || `${this.label} ${i + 1}`;
      const article = /^([aeiou8]|1[18]$)/i.test(caption) ? "an" : "a";
      return `${this.each} ${i + 1}` + (caption ? `, ${article} ${caption}` : "");
    },
  },
};
