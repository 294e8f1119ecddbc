export class StudioView {
  constructor() {}

  show() {}
}
