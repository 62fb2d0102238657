const told = (share) => share > 0.9995 ? "> 99.9%" : share < 0.0005 ? "< 0.1%" : (100 * share).toFixed(1) + "%";

export default {
  template: `
    <ul class="bars" :aria-label="label">
      <li v-for="item in items" :key="item.name">
        <span class="bar-name">{{ item.name }}</span>
        <span class="bar"><i :style="{width: 100 * item.share + '%', background: item.colour}"></i></span>
        <span class="bar-share">{{ told(item.share) }}</span>
      </li>
    </ul>`,
  props: { label: String, items: Array },
  methods: { told },
};
