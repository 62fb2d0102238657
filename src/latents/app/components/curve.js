const [WIDE, HIGH] = [320, 90];

export default {
  template: `
    <div class="curve" role="img" :aria-label="label + ': ' + told">
      <div class="curve-told"><span :style="{left: 100 * place + '%', transform: 'translateX(' + -100 * place + '%)'}">{{ told }}</span></div>
      <svg viewBox="0 -2 ${WIDE} ${HIGH + 2}" preserveAspectRatio="none" aria-hidden="true">
        <polygon :points="\`0,${HIGH} \${line} ${WIDE},${HIGH}\`"></polygon>
        <polyline :points="line" vector-effect="non-scaling-stroke"></polyline>
        <line v-if="values.length" :x1="${WIDE} * place" :x2="${WIDE} * place" y1="-2" y2="${HIGH}" vector-effect="non-scaling-stroke"></line>
      </svg>
      <div class="curve-ends"><span v-for="end in ends">{{ end }}</span></div>
    </div>`,
  props: { label: String, stepped: Boolean, values: Array, place: Number, told: String, ends: Array },
  computed: {
    line() {
      const n = this.values.length, most = Math.max(...this.values) || 1, y = (value) => HIGH * (1 - value / most);
      const points = this.stepped
        ? this.values.flatMap((value, i) => [[i / n, y(value)], [(i + 1) / n, y(value)]])
        : this.values.map((value, i) => [i / Math.max(1, n - 1), y(value)]);
      return points.map(([share, y]) => `${WIDE * share},${y}`).join(" ");
    },
  },
};
