export class FilmView {
  constructor() {}

  show() {}
}
