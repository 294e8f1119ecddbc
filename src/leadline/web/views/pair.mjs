export class PairView {
  constructor() {}

  show() {}
}
