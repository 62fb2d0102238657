const [WIDE, HIGH] = [320, 90];

export default {
  template: `
    <svg class="curve" viewBox="0 -8 ${WIDE} ${HIGH + 14}" preserveAspectRatio="none" role="img" :aria-label="label">
      <polygon :points="\`0,${HIGH} \${line} ${WIDE},${HIGH}\`"></polygon>
      <polyline :points="line" vector-effect="non-scaling-stroke"></polyline>
      <line v-if="values.length" :x1="x(at)" :x2="x(at)" y1="-8" y2="${HIGH}" vector-effect="non-scaling-stroke"></line>
    </svg>`,
  props: { label: String, values: Array, at: Number },
  computed: { line() { return this.values.map((value, d) => `${this.x(d)},${this.y(value)}`).join(" "); } },
  methods: {
    x(d) { return WIDE * d / Math.max(1, this.values.length - 1); },
    y(value) { return HIGH * (1 - value / (Math.max(...this.values) || 1)); },
  },
};
