export class LiveView {
  constructor() {}

  show() {}
}
