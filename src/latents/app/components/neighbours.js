export default {
  template: `
    <div class="list" role="group" :aria-label="label">
      <button v-for="item in items" :key="item.row" type="button" class="item" :style="{'--colour': item.colour}"
              @click="$emit('picked', item.row)">
        <span class="item-title">{{ item.title }}</span><span class="item-share">{{ item.share }}</span>
        <span class="item-text">{{ item.text }}</span>
      </button>
    </div>`,
  props: { label: String, items: Array },
  emits: ["picked"],
};
