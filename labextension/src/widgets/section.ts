import {
  LabIcon,
  PanelWithToolbar,
  ToolbarButton
} from '@jupyterlab/ui-components';

import type { DeskWidget } from '../view/desk';

/** A button that does something each time; JupyterLab's own stays pressed until the next click. */
class ActionButton extends ToolbarButton {
  override get pressed(): boolean {
    return false;
  }

  override set pressed(_: boolean) {
    // It never is.
  }
}

/** A part of a view with its title and a button. */
export function section(
  widget: DeskWidget,
  button?: { icon: LabIcon; tooltip: string; onClick: () => void }
): PanelWithToolbar {
  const panel = new PanelWithToolbar();
  panel.addClass('jx-Panel-section');
  panel.addWidget(widget);
  if (button) {
    panel.toolbar.addItem('button', new ActionButton(button));
  }
  return panel;
}

/** A title with how many there are. */
export function titled(name: string, count: number | undefined): string {
  return count ? `${name} (${count})` : name;
}
