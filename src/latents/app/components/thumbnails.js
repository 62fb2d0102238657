export default {
  template: `
    <div class="thumbnails" role="group" :aria-label="label">
      <component v-for="(item, i) in items" :key="i" :is="pickable ? 'button' : 'figure'" :type="pickable ? 'button' : null"
                 class="thumbnail" :class="{chosen: i === chosen}" @click="pickable && $emit('picked', i)">
        <img :src="item.src" :alt="item.caption || label + ' ' + (i + 1)" draggable="false"><span v-if="item.caption">{{ item.caption }}</span>
      </component>
    </div>`,
  props: { label: String, items: Array, pickable: Boolean, chosen: Number },
  emits: ["picked"],
};
