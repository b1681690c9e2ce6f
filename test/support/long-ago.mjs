/** Loaded before a program, puts its clock back by the days of $LONG_AGO_DAYS. */
const RealDate = Date;
const offset = Number(process.env['LONG_AGO_DAYS'] ?? 0) * 86_400_000;

globalThis.Date = class extends RealDate {
  constructor(...of) {
    if (of.length === 0) super(RealDate.now() - offset);
    else super(...of);
  }
  static now() {
    return RealDate.now() - offset;
  }
};
